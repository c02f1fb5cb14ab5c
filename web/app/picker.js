/** A select over a list that the server gives in pages: projects, galleries. */

const MORE = 'more';

/** Event: `chosen` (detail: the entry), when a person picks another one. */
export class Picker extends EventTarget {
  #select;
  #source;
  #list = [];
  #cursor = null;

  /**
   * `source` is `{idKey, plural, read, fetch}`: the field with an entry's id, the word for many of them,
   * `read(cursor)` → `{entries, nextCursor}`, and `fetch(id)` → one entry.
   */
  constructor(select, source) {
    super();
    this.#select = select;
    this.#source = source;
    select.addEventListener('change', () => this.#changed());
  }

  get size() {
    return this.#list.length;
  }

  /** Reads the list; gives the entry with `wantedId`, else the first, else null, and shows it as chosen. */
  async load(wantedId) {
    this.#list = [];
    await this.#read(null);
    const wanted = wantedId && (this.#find(wantedId) ?? (await this.#fetch(wantedId)));
    const entry = wanted || this.#list[0] || null;
    this.#draw(entry);
    return entry;
  }

  /** Puts a new entry in front and shows it as chosen. */
  add(entry) {
    this.#list.unshift(entry);
    this.#draw(entry);
  }

  #id(entry) {
    return entry[this.#source.idKey];
  }

  #find(id) {
    return this.#list.find((entry) => this.#id(entry) === id);
  }

  /** An entry that is not among those read so far; null when it does not exist (any more). */
  async #fetch(id) {
    try {
      const entry = await this.#source.fetch(id);
      if (entry) this.#list.push(entry);
      return entry;
    } catch (error) {
      if (error.status === 404 || error.status === 400) return null;
      throw error;
    }
  }

  async #read(cursor) {
    const { entries, nextCursor } = await this.#source.read(cursor);
    this.#list.push(...entries.filter((entry) => !this.#find(this.#id(entry))));
    this.#cursor = nextCursor;
  }

  #draw(current) {
    const options = this.#list.map((entry) => new Option(entry.name, this.#id(entry)));
    if (this.#cursor) options.push(new Option(`More ${this.#source.plural}…`, MORE));
    if (!current) options.unshift(new Option(`No ${this.#source.plural} yet`, ''));
    this.#select.replaceChildren(...options);
    this.#select.value = current ? this.#id(current) : '';
    this.#select.dataset.current = this.#select.value;
  }

  async #changed() {
    const current = this.#find(this.#select.dataset.current);
    if (this.#select.value === MORE) {
      // A failed read leaves the last option in place, to be picked again.
      await this.#read(this.#cursor).catch(() => {});
      this.#draw(current);
      return;
    }
    const entry = this.#find(this.#select.value);
    if (!entry) return;
    this.#draw(entry);
    this.dispatchEvent(new CustomEvent('chosen', { detail: entry }));
  }
}
