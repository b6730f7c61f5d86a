// What every page has: the button to sign in.

import { wireButtons } from "./sign-in.js";

await wireButtons([...document.querySelectorAll("[data-sign-in]")]);
