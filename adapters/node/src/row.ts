/** What is known of a session's row in the database, and how the session of a request is saved to it. */

import { type Content, contentOf, type Difference, difference, toObject } from './content'
import type { Database, Principal } from './database'
import type { CookieLike, Life } from './lifetime'

/** The session of a framework, or a plain object that somebody hands to the store. */
export interface SessionLike {
  cookie?: CookieLike
}

/** How many milliseconds an answer may take in which a login in another tab is not to be expected. */
const QUICK = 100

export class Row {
  /** Not saved yet; in the database; or ended by somebody else since it was loaded. */
  state: 'new' | 'live' | 'ended' = 'new'
  /** The cookie as it is in the content. */
  cookie: string | undefined
  /** Renewed, and not saved since. */
  #renewed = false
  /** When the database last told of a change of this request that the session is there; 0 if it may not have been. */
  #seen = Number.POSITIVE_INFINITY
  #json = '{}'
  #content: Map<string, string> | undefined

  constructor(
    private readonly database: Database,
    readonly sid: string,
    /** A plain object that somebody saves under an id of his choice replaces what is there. */
    private readonly begunByFramework = true,
  ) {}

  /** A session that is in the database, with this content. */
  static live(database: Database, sid: string, json: string): [row: Row, session: SessionLike] {
    const row = new Row(database, sid)
    const session = JSON.parse(json)
    row.state = 'live'
    row.cookie = JSON.stringify(session.cookie)
    row.#json = json
    return [row, session]
  }

  /** As loaded or last saved. Taken apart only when there is something to save: most requests change nothing. */
  get content(): Map<string, string> {
    this.#content ??= contentOf(JSON.parse(this.#json))
    return this.#content
  }

  set content(content: Map<string, string>) {
    this.#content = content
    this.cookie = content.get('cookie')
  }

  /** Leaves alone what the framework's session cannot hold, which does not mean that the application has dropped it. */
  ignore(keys: string[]): void {
    for (const key of keys) this.content.delete(key)
  }

  changes(content: Content): boolean {
    return difference(this.content, content) !== null
  }

  /**
   * Nothing is left to save of what the request has changed, but the framework sends its cookie again: not if that takes
   * the place of a login's.
   */
  get isDoubtful(): boolean {
    return this.state === 'live' && Date.now() - this.#seen > QUICK
  }

  /** Finds out whether the session has ended. */
  async look(): Promise<void> {
    if (!(await this.database.exists(this.sid))) this.state = 'ended'
  }

  /** Saves what has changed. A session that has ended meanwhile stays ended. */
  async save(content: Map<string, string>, life: Life | null): Promise<void> {
    if (life === null) return this.destroy()
    const change = difference(this.content, content)
    if (this.state === 'new') {
      await this.#create(content, life)
    } else if (this.state === 'live' && change !== null) {
      const lasts = this.cookie === undefined || this.cookie === content.get('cookie')
      await this.#write(content, change, lasts ? null : life)
    }
    // A renewed session with nothing in it is how some log out.
    if (this.#renewed && this.state === 'live' && content.size <= 1) await this.database.unbind(this.sid)
    this.#renewed = false
    this.content = content
  }

  /** Saves the cookie alone, which is what has changed if anything has. */
  async saveCookie(cookie: string, life: Life | null): Promise<void> {
    if (this.cookie === undefined || this.cookie === cookie) return
    await this.save(new Map([...this.content, ['cookie', cookie]]), life)
  }

  /** Ends a session that was renewed and not saved, of which nobody can know the id. */
  async discard(): Promise<void> {
    if (this.#renewed) await this.destroy()
  }

  async destroy(): Promise<void> {
    if (this.state !== 'ended') await this.database.destroy(this.sid)
    this.state = 'ended'
  }

  /** The framework begins a new session in place of this one: it becomes another id of this one, with another content. */
  async renew(sid: string, content: Map<string, string>, life: Life | null): Promise<Row> {
    const next = new Row(this.database, sid)
    if (life === null) {
      await this.destroy()
    } else if (this.state === 'live' && (await this.database.move(this.sid, sid, toObject(content), life))) {
      next.state = 'live'
      next.content = content
      next.#renewed = true
    } else {
      // What the ended session held must not come back as a copy.
      next.content = withoutCookie(this.content)
    }
    return next
  }

  /** Renews the id, binds the session to the principal, and saves what has changed: the session as it is then. */
  async login(
    sid: string,
    principal: Principal,
    attributes: object | null | undefined,
    content: Content,
    life: Life | null,
  ): Promise<[row: Row, session: SessionLike]> {
    const change = difference(withoutCookie(this.content), content) ?? { patch: '{}', remove: [] }
    const old = this.state === 'live' ? this.sid : null
    const json = await this.database.login(old, sid, principal, attributes ?? null, change, life)
    return Row.live(this.database, sid, json)
  }

  /** Takes a value out of the session. Of those who do this at once only one gets it. */
  async pop(session: Record<string, unknown>, key: string): Promise<unknown> {
    const value = session[key]
    const before = this.state === 'live' && value !== undefined ? this.content.get(key) : undefined
    const stored = before !== undefined && before === JSON.stringify(value) && isText(key, before)
    const json = stored ? await this.database.pop(this.sid, key) : undefined
    delete session[key]
    if (json === undefined) return value
    this.#seen = json === null ? 0 : Date.now()
    this.content.delete(key)
    return json === null ? undefined : JSON.parse(json)
  }

  async #create(content: Content, life: Life): Promise<void> {
    const data = toObject([...content].filter(([key, json]) => this.content.get(key) !== json))
    const saved = this.begunByFramework
      ? // Its ids are new: where one is taken, another save of this request has begun the session.
        (await this.database.create(this.sid, data, life)) ||
        (await this.database.patch(this.sid, { patch: data, remove: [] }, null))
      : await this.database.put(this.sid, data, life)
    this.state = saved ? 'live' : 'ended'
  }

  async #write(content: Content, change: Difference, life: Life | null): Promise<void> {
    // Such a key cannot be named in SQL, and a patch cannot take it away.
    const saved = change.remove.some((key) => key.includes('\0'))
      ? await this.database.replace(this.sid, toObject(content), life)
      : await this.database.patch(this.sid, change, life)
    if (saved) this.#seen = Date.now()
    else this.state = 'ended'
  }
}

/** No text of SQL and no jsonb has U+0000 in it. What has goes when the session is saved. */
function isText(key: string, json: string): boolean {
  return !key.includes('\0') && !json.includes('\\u0000')
}

function withoutCookie(content: Content): Map<string, string> {
  return new Map([...content].filter(([key]) => key !== 'cookie'))
}
