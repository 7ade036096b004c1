// A list of any length in which only what can be seen is made; one stop of the tab key, arrows move inside of it.
class ListBox {
  /**
   * @param container the element to fill
   * @param label for screen readers
   * @param height of an item in pixels
   * @param render makes the children of an item
   * @param choose is told the place that was chosen
   * @param keys further keys that act while the list has the focus
   */
  constructor(container, { label, height, render, choose, keys = {} }) {
    Object.assign(this, { container, height, render, choose, keys, items: [], chosen: -1 });
    fill(container, { role: "listbox", tabindex: "0", "aria-label": label }, []);
    this.spacer = make("div", { role: "presentation" });
    container.append(this.spacer);
    container.addEventListener("scroll", () => this.draw());
    container.addEventListener("keydown", (event) => this.press(event));
    container.addEventListener("click", (event) => {
      const item = event.target.closest("[role=option]");
      if (item) this.pick(Number(item.dataset.place));
    });
    new ResizeObserver(() => this.draw()).observe(container);
  }

  fill(items, chosen) {
    this.items = items;
    this.spacer.style.height = `${items.length * this.height}px`;
    this.mark(chosen);
  }

  /** Show a place as chosen, without telling anybody. */
  mark(place) {
    this.chosen = place;
    const { container, height } = this;
    // By hand: `scrollIntoView` would move the page too.
    if (place >= 0 && place * height < container.scrollTop) container.scrollTop = place * height;
    if (place >= 0 && (place + 1) * height > container.scrollTop + container.clientHeight) container.scrollTop = (place + 1) * height - container.clientHeight;
    this.draw();
  }

  pick(place) {
    if (!this.items.length) return;
    const next = Math.max(0, Math.min(this.items.length - 1, place));
    if (next === this.chosen) return;
    this.mark(next);
    this.choose(next);
  }

  draw() {
    const { container, height, items } = this;
    const first = Math.max(0, Math.floor(container.scrollTop / height) - 3);
    const last = Math.min(items.length, Math.ceil((container.scrollTop + container.clientHeight) / height) + 3);
    const places = new Set(Array.from({ length: Math.max(0, last - first) }, (_, index) => first + index));
    // What `aria-activedescendant` names must be there, seen or not.
    if (this.chosen >= 0 && this.chosen < items.length) places.add(this.chosen);
    const made = [...places].sort((x, y) => x - y).map((place) => this.item(place));
    this.spacer.replaceChildren(...made);
    if (this.chosen >= 0 && items.length) container.setAttribute("aria-activedescendant", this.name(this.chosen));
    else container.removeAttribute("aria-activedescendant");
  }

  name(place) {
    return `${this.container.id}-${place}`;
  }

  item(place) {
    const attributes = {
      role: "option", id: this.name(place), "data-place": place, "aria-selected": String(place === this.chosen),
      "aria-setsize": this.items.length, "aria-posinset": place + 1, style: `top:${place * this.height}px;height:${this.height}px`,
    };
    return make("div", attributes, ...this.render(this.items[place]));
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.container.clientHeight / this.height) - 1);
    const moves = { ArrowDown: this.chosen + 1, ArrowUp: this.chosen - 1, Home: 0, End: this.items.length - 1, PageDown: this.chosen + page, PageUp: this.chosen - page };
    const action = event.key in moves ? () => this.pick(moves[event.key]) : this.keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}
