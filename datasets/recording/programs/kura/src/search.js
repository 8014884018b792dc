import { normalize } from './normalize.js';

/** 収蔵品の索引。find() は名称か分類に語を含むものを番号順に返す。 */
export class Index {
  #items;

  constructor(items) {
    this.#items = items.map((item) => ({ item, key: normalize(`${item.name} ${item.kind}`) }));
  }

  find(query) {
    const words = normalize(query).split(/\s+/).filter(Boolean);
    return this.#items
      .filter(({ key }) => words.every((word) => key.includes(word)))
      .map(({ item }) => item)
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }
}
