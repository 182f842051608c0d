// Short names for what is on the page.

export const { body } = document;
export const $ = (id) => document.getElementById(id);
