// GraphiQL says that each of its tabs, a list item, is a tab, and puts a button into it; a tab may not contain one. Until
// it says otherwise, the item's role and state move to the button, which is what the keyboard reaches.

export function repairTabs(root: HTMLElement): () => void {
  const repair = () => {
    for (const item of root.querySelectorAll<HTMLElement>("[role=tablist] > [role=tab]")) {
      item.setAttribute("role", "presentation");
      item.removeAttribute("tabindex");
    }
    for (const item of root.querySelectorAll<HTMLElement>("[role=tablist] > [role=presentation]")) {
      const button = item.querySelector("button");
      const selected = item.getAttribute("aria-selected");
      if (button === null || selected === null) continue;
      button.setAttribute("role", "tab");
      button.setAttribute("aria-selected", selected);
      item.removeAttribute("aria-selected");
    }
  };
  const observer = new MutationObserver(repair);
  observer.observe(root, { subtree: true, childList: true, attributeFilter: ["role", "aria-selected", "tabindex"] });
  repair();
  return () => observer.disconnect();
}
