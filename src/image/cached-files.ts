import type { ImageFile, ImageFiles } from './files.ts';

/** An image that does not change, of which the same is asked again and again: each answer is looked up once. */
export class CachedFiles implements ImageFiles {
  readonly #image: ImageFiles;
  readonly #stats = new Map<string, Promise<ImageFile | undefined>>();
  readonly #lists = new Map<string, Promise<string[]>>();
  readonly #contents = new Map<string, Promise<Buffer>>();

  constructor(image: ImageFiles) {
    this.#image = image;
  }

  stat(path: string): Promise<ImageFile | undefined> {
    return once(this.#stats, path, () => this.#image.stat(path));
  }

  list(path: string): Promise<string[]> {
    return once(this.#lists, path, () => this.#image.list(path));
  }

  read(path: string): Promise<Buffer> {
    return once(this.#contents, path, () => this.#image.read(path));
  }
}

function once<Answer>(known: Map<string, Answer>, path: string, ask: () => Answer): Answer {
  const before = known.get(path);
  if (before !== undefined) return before;
  const answer = ask();
  known.set(path, answer);
  return answer;
}
