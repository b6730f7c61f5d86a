"""Routes of the pages for people; none of them is part of the API's description."""
