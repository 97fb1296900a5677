/**
 * Maps items in order while up to `ahead` of them are being fetched and mapped at once: this is how the network, the
 * cores and the disk are busy at the same time in bounded memory.
 * @param items an async generator or a stream: something that queues calls of `next`
 */
export async function* mapAhead<T, U>(
  items: AsyncIterable<T>,
  ahead: number,
  map: (item: T) => Promise<U>,
): AsyncGenerator<U, void, void> {
  const iterator = items[Symbol.asyncIterator]();
  const queue: Promise<{ value: U } | undefined>[] = [];
  const pull = (): void => {
    const mapped = iterator
      .next()
      .then(async (next) => (next.done === true ? undefined : { value: await map(next.value) }));
    // It is awaited in its turn; if the consumer stops before that, nobody needs to know.
    mapped.catch(() => undefined);
    queue.push(mapped);
  };
  try {
    for (let i = 0; i < ahead; i++) pull();
    for (let item = await queue.shift(); item !== undefined; item = await queue.shift()) {
      pull();
      yield item.value;
    }
  } finally {
    await iterator.return?.();
  }
}
