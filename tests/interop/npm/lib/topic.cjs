'use strict';

/** Publishes to async iterators. A listener hears everything from the moment it was made, asked for or not. */
class Topic {
  #listeners = new Set();

  publish(event) {
    for (const hear of this.#listeners) hear(event);
  }

  listen() {
    const heard = [];
    const waiting = [];
    const listeners = this.#listeners;
    const hear = (value) => (waiting.length ? waiting.shift()({ value, done: false }) : heard.push(value));
    const end = () => {
      listeners.delete(hear);
      for (const wake of waiting.splice(0)) wake({ value: undefined, done: true });
    };
    listeners.add(hear);
    return {
      next: async () => {
        if (heard.length) return { value: heard.shift(), done: false };
        if (!listeners.has(hear)) return { value: undefined, done: true };
        return new Promise((resolve) => waiting.push(resolve));
      },
      return: async (value) => {
        end();
        return { value, done: true };
      },
      throw: async (error) => {
        end();
        throw error;
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}

module.exports = { Topic };
