/** A store for express-session, and a middleware for whom its sessions belong to. */

import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { type Session, type SessionData, Store } from 'express-session'
import { answer } from './answer'
import { contentOf } from './content'
import { Database, type Device, type Principal, type StoreOptions } from './database'
import { type CookieLike, endOf, hasMoved, lifeOf, maxAgeOf } from './lifetime'
import { Row, type SessionLike } from './row'

export type { Device, Principal, Queryable, StoreOptions } from './database'

declare module 'express-session' {
  /** With the middleware `principals`. */
  interface Session {
    /** Renews the id, binds the session to the user whom the principal names, and puts the values into it. */
    login(principal: Principal, attributes?: object | null, values?: object): Promise<void>
    /** The live sessions of the same user, this one first. */
    devices(): Promise<Device[]>
    /** Ends the one of them that has this handle. */
    revoke(handle: string): Promise<boolean>
    /** Ends all of them but this one; their handles. */
    revokeOthers(): Promise<string[]>
    /** Takes a value out of the session. Of requests that do this at once only one gets it. */
    pop(key: string): Promise<unknown>
  }
}

/** Beside the session objects: as a property, applications would copy it or print it. */
const rows = new WeakMap<object, Row>()

/** The requests that went through `principals`. */
const equipped = new WeakSet<object>()

export class SessionStore extends Store {
  /** Given by express-session: a new id and a new session for the request. */
  declare generate: (req: Request) => void
  readonly #database: Database
  readonly #ttl: number | undefined

  constructor(options: StoreOptions = {}) {
    super()
    this.#database = new Database(options)
    this.#ttl = options.ttl
  }

  get(sid: string, callback: (error?: unknown, session?: SessionData | null) => void): void {
    answer(this.#load(sid), callback)
  }

  set(sid: string, session: SessionData, callback?: (error?: unknown) => void): void {
    answer(this.#save(sid, session), callback)
  }

  override touch(sid: string, session: SessionData, callback?: (error?: unknown) => void): void {
    answer(this.#touch(sid, session), callback)
  }

  destroy(sid: string, callback?: (error?: unknown) => void): void {
    answer(this.#database.destroy(sid), callback)
  }

  override length(callback: (error: unknown, length?: number) => void): void {
    answer(this.#database.count(), callback)
  }

  override clear(callback?: (error?: unknown) => void): void {
    answer(this.#database.clear(), callback)
  }

  /** Ends the connections, unless the pool is the application's. */
  close(): Promise<void> {
    return this.#database.close()
  }

  override createSession(req: Request, data: SessionData): Session & SessionData {
    const session = super.createSession(req, data)
    const row = rows.get(data)
    if (row) {
      rows.set(session, row)
      // Of a session that something else has made: the cookie is no change.
      if (row.cookie === undefined) row.content = contentWith({ ...data, cookie: session.cookie }, row)
      row.ignore(Object.keys(data).filter((key) => !Object.prototype.propertyIsEnumerable.call(session, key)))
    }
    equip(req)
    return session
  }

  /** As express has it, a new session in place of the old one. Here it keeps whom it belongs to. */
  override regenerate(req: Request, callback: (error?: unknown) => void): void {
    if (req.session) {
      answer(this.#renew(req), callback)
    } else {
      super.regenerate(req, callback)
    }
  }

  /** See `req.session.login`, and so on. */
  async login(req: Request, principal: Principal, attributes?: object | null, values?: object): Promise<void> {
    const { sessionID } = this.#generate(req)
    const row = this.#rowOf(req.sessionID, req.session)
    const content = contentWith({ ...req.session, ...values }, row)
    const life = lifeOf(req.session.cookie, this.#ttl)
    const [next, data] = await row.login(sessionID, principal, attributes, content, life)
    req.sessionID = sessionID
    this.createSession(req, this.#restore(next, data))
  }

  devices(req: Request): Promise<Device[]> {
    return this.#database.devices(req.sessionID)
  }

  revoke(req: Request, handle: string): Promise<boolean> {
    return this.#database.revoke(req.sessionID, handle)
  }

  revokeOthers(req: Request): Promise<string[]> {
    return this.#database.revokeOthers(req.sessionID)
  }

  pop(req: Request, key: string): Promise<unknown> {
    return this.#rowOf(req.sessionID, req.session).pop(req.session as unknown as Record<string, unknown>, key)
  }

  async #load(sid: string): Promise<SessionData | null> {
    const json = await this.#database.fetch(sid, true)
    return json === null ? null : this.#restore(...Row.live(this.#database, sid, json))
  }

  async #save(sid: string, session: SessionData): Promise<void> {
    const row = this.#rowOf(sid, session)
    await row.save(contentWith(session, row), lifeOf(session.cookie ?? {}, this.#ttl))
  }

  /** Loading the session has kept it alive, so there is something to do only if its cookie has changed. */
  async #touch(sid: string, session: SessionData): Promise<void> {
    const row = rows.get(session)
    const life = lifeOf(session.cookie ?? {}, this.#ttl)
    if (row) await row.saveCookie(JSON.stringify(cookieOf(session.cookie, row)), life)
    else if (life) await this.#database.touch(sid, life)
    else await this.#database.destroy(sid)
  }

  async #renew(req: Request): Promise<void> {
    const next = this.#generate(req)
    const row = this.#rowOf(req.sessionID, req.session)
    const life = lifeOf(next.session.cookie, this.#ttl)
    rows.set(next.session, await row.renew(next.sessionID, contentWith(next.session, row), life))
    Object.assign(req, next)
    equip(req)
  }

  /** A new id and a new session, which the request gets when the database has them, too. */
  #generate(req: Request): Pick<Request, 'session' | 'sessionID'> {
    const { session, sessionID } = req
    this.generate(req)
    const next = { session: req.session, sessionID: req.sessionID }
    Object.assign(req, { session, sessionID })
    return next
  }

  #rowOf(sid: string, session: object): Row {
    let row = rows.get(session)
    if (row?.sid !== sid) {
      row = new Row(this.#database, sid, 'regenerate' in session)
      rows.set(session, row)
    }
    return row
  }

  /** Session data as a store returns them, with a row beside them. */
  #restore(row: Row, data: SessionLike): SessionData {
    const cookie = data.cookie ?? { originalMaxAge: null }
    const age = maxAgeOf(cookie)
    if (age !== null) cookie.expires = new Date(Date.now() + age).toISOString()
    const session = Object.assign(data, { cookie }) as SessionData
    rows.set(session, row)
    return session
  }
}

/**
 * `req.session.login`, `devices`, `revoke`, `revokeOthers` and `pop`, behind express-session. A session that holds such a
 * key keeps it.
 */
export function principals(): RequestHandler {
  return (req, res, next) => {
    if (req.session && req.sessionStore instanceof SessionStore) {
      equipped.add(req)
      equip(req)
      saveFirst(req, res, next)
    }
    next()
  }
}

/**
 * express-session sends its answer and then saves. If that fails the browser takes for done what is not; and if the
 * session has ended meanwhile, by a login in another tab, its cookie takes the place of the login's. So what there is to
 * save is saved first.
 */
function saveFirst(req: Request, res: Response, next: NextFunction): void {
  const end = res.end as (...args: unknown[]) => Response
  res.end = (...args: unknown[]) => {
    const answerNow = () => {
      res.end = end
      return end.apply(res, args)
    }
    if (res.headersSent) return answerNow()
    const { session } = req
    const row = session && rows.get(session)
    const goOn = (error?: unknown) => {
      res.end = end
      if (error) return next(error)
      if (rows.get(session)?.state === 'ended') Reflect.deleteProperty(req, 'session')
      answerNow()
    }
    if (hasChanges(req)) session.save(goOn)
    else if (row?.isDoubtful) answer(row.look(), goOn)
    else return answerNow()
    res.end = () => res
    return res
  }
}

function hasChanges({ session, sessionID }: Request): boolean {
  if (session?.id !== sessionID) return false
  const row = rows.get(session)
  if (!row || row.state === 'new') return Object.keys(session).length > 1
  return row.state === 'ended' || row.changes(contentWith(session, row))
}

/** express-session's sessions know their request. */
type Equipped = Session & { req: Request & { sessionStore: SessionStore } }

const methods: ThisType<Equipped> & Record<string, unknown> = {
  login(principal: Principal, attributes?: object | null, values?: object) {
    return this.req.sessionStore.login(this.req, principal, attributes, values)
  },
  devices() {
    return this.req.sessionStore.devices(this.req)
  },
  revoke(handle: string) {
    return this.req.sessionStore.revoke(this.req, handle)
  },
  revokeOthers() {
    return this.req.sessionStore.revokeOthers(this.req)
  },
  pop(key: string) {
    return this.req.sessionStore.pop(this.req, key)
  },
}

function equip(req: Request): void {
  if (!equipped.has(req)) return
  for (const [name, value] of Object.entries(methods)) {
    if (Object.hasOwn(req.session, name)) continue
    Object.defineProperty(req.session, name, { value, writable: true, configurable: true })
  }
}

function contentWith(session: SessionLike, row: Row): Map<string, string> {
  return contentOf(session.cookie ? { ...session, cookie: cookieOf(session.cookie, row) } : session)
}

/**
 * The cookie as it is stored. Its date follows from its age and would differ with each request; an age that follows from
 * a date is as it was, unless it has moved by more than a step.
 */
function cookieOf(cookie: CookieLike, row: Row): CookieLike {
  const { expires, ...stored } = JSON.parse(JSON.stringify(cookie)) as CookieLike
  const age = maxAgeOf(stored)
  if (age === null) return endOf({ expires }) === null ? stored : { ...stored, expires }
  const before = row.cookie === undefined ? null : maxAgeOf(JSON.parse(row.cookie))
  return before === null || hasMoved(before, age, before) ? stored : { ...stored, originalMaxAge: before }
}
