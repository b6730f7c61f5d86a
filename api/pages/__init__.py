"""Pages for people: words and figures in their language, templates in one frame."""
