/** How long a session lives, from its cookie. In durations, since what counts is the database's clock. */

/** The last two arguments of session_save, session_patch and session_touch, in seconds; null for "as it is". */
export interface Life {
  /** Unused; 0 is without limit. */
  lifetime: number | null
  /** From now on, used or not; Infinity is without limit. */
  deadline: number | null
}

export interface CookieLike {
  originalMaxAge?: number | null
  expires?: Date | string | boolean | null
}

/** The database's limit: 68 years. */
const LONGEST = 68 * 365.25 * 86_400

/**
 * A cookie with a maximum age: the session lives that long unused. One with a date: until then. One that lasts as long as
 * the browser: `ttl` seconds unused, or else as session_store.max_lifetime says. Null: it is over.
 */
export function lifeOf(cookie: CookieLike, ttl?: number): Life | null {
  const age = maxAgeOf(cookie)
  const end = endOf(cookie)
  const unlimited = { lifetime: ttl ?? null, deadline: Number.POSITIVE_INFINITY }
  if (age !== null) return age > 0 ? { ...unlimited, lifetime: Math.min(age / 1000, LONGEST) } : null
  if (end === null) return unlimited
  const seconds = (end - Date.now()) / 1000
  return seconds > 0 ? { lifetime: 0, deadline: Math.min(seconds, LONGEST) } : null
}

/** In milliseconds; null when it has none. */
export function maxAgeOf({ originalMaxAge }: CookieLike): number | null {
  return typeof originalMaxAge === 'number' && !Number.isNaN(originalMaxAge) ? originalMaxAge : null
}

/** In milliseconds since 1970; null when it ends with the browser. */
export function endOf({ expires }: CookieLike): number | null {
  if (!(expires instanceof Date) && typeof expires !== 'string') return null
  const end = new Date(expires).getTime()
  return Number.isNaN(end) ? null : end
}

/** Whether it has been given another age, or where it has none, another end. */
export function isOther(before: CookieLike, now: CookieLike): boolean {
  const age = maxAgeOf(now)
  return age !== maxAgeOf(before) || (age === null && endOf(now) !== endOf(before))
}

/**
 * Whether an end or an age, in milliseconds, has moved enough to be worth a write: by more than a step of the database's
 * grid, which is a minute or a sixteenth of the lifetime.
 */
export function hasMoved(before: number, now: number, lifetime: number): boolean {
  return Math.abs(now - before) > Math.min(60_000, lifetime / 16)
}
