// Reports that wait for a broker that is away: the latest are kept, as many as fit.

const maxCount = 1_000;
/** In UTF-16 units. */
const maxLength = 4 * 1024 * 1024;

export class Untold {
  #texts: string[] = [];
  #length = 0;

  add(text: string): void {
    this.#texts.push(text);
    this.#length += text.length;
    while (this.#texts.length > maxCount || this.#length > maxLength) {
      this.#length -= this.#texts.shift()?.length ?? 0;
    }
  }

  /** @returns all of them, which are kept no longer */
  take(): readonly string[] {
    const texts = this.#texts;
    this.#texts = [];
    this.#length = 0;
    return texts;
  }
}
