// What somebody is in the middle of writing, kept while they are signed out, and over a reload of this tab.

export const draft = {
  open(name: string): string {
    try {
      return sessionStorage.getItem(key(name)) ?? "";
    } catch {
      return "";
    }
  },
  keep(name: string, text: string): void {
    try {
      if (text === "") sessionStorage.removeItem(key(name));
      else sessionStorage.setItem(key(name), text);
    } catch {
      // storage may be off or full
    }
  },
};

function key(name: string): string {
  return `gqlink.draft.${name}`;
}
