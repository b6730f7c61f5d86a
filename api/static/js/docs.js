// A link to a route opens it.

function open() {
  const route = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (route instanceof HTMLDetailsElement) {
    route.open = true;
    route.scrollIntoView();
  }
}

addEventListener("hashchange", open);
open();
