/** A session's content as JSON text, key by key, so that a save writes what has changed and nothing else. */

export type Content = ReadonlyMap<string, string>

export interface Difference {
  /** Keys and values to set, as the text of a JSON object. */
  patch: string
  remove: string[]
}

/**
 * The content of a session object. Keys that JSON leaves out (functions, undefined) are absent. Text is made well-formed
 * Unicode, since half a surrogate pair is no character and PostgreSQL refuses it.
 */
export function contentOf(session: object): Map<string, string> {
  const content = new Map<string, string>()
  for (const [key, value] of Object.entries(session)) {
    const json: string | undefined = JSON.stringify(value)
    if (json !== undefined) content.set(key.toWellFormed(), wellFormed(json))
  }
  return content
}

/** What turns `before` into `now`; null when they are equal. */
export function difference(before: Content, now: Content): Difference | null {
  const changed = [...now].filter(([key, json]) => before.get(key) !== json)
  const remove = [...before.keys()].filter((key) => !now.has(key))
  return changed.length + remove.length === 0 ? null : { patch: toObject(changed), remove }
}

export function toObject(entries: Iterable<[string, string]>): string {
  return `{${Array.from(entries, ([key, json]) => `${JSON.stringify(key)}:${json}`).join(',')}}`
}

/** JSON.stringify writes half a surrogate pair, and nothing else, as an escape that begins with \ud. */
export function wellFormed(json: string): string {
  if (!json.includes('\\ud')) return json
  return json.replace(/\\(?:(ud[89a-f][0-9a-f]{2})|.)/g, (whole, half) => (half ? '\ufffd' : whole))
}
