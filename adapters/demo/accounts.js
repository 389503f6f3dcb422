import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const hash = promisify(scrypt)

/** Nobody's password. It is compared for unknown names, so that the time an answer takes does not tell who has an account. */
const NOBODY = `${'00'.repeat(16)}:${'00'.repeat(32)}`

export class Accounts {
  #pool

  constructor(pool) {
    this.#pool = pool
  }

  /** The account with this name and password, if there is one. */
  async check(name, password) {
    const { rows } = await this.#pool.query('SELECT id, name, password FROM account WHERE name = $1', [name])
    const matches = await isPassword(password, rows[0]?.password ?? NOBODY)
    return matches ? rows[0] : undefined
  }

  /** Whether the account's password is still the one that was checked. */
  async isCurrent({ id, password }) {
    const { rowCount } = await this.#pool.query('SELECT FROM account WHERE id = $1 AND password = $2', [id, password])
    return rowCount === 1
  }

  /**
   * Changes the password and ends all sessions of the account but this one, both or none. False if somebody else was
   * faster. The account's row comes first: then no login with the old password outlives the change.
   */
  async changePassword({ id, password }, next, sid) {
    const hashed = await hashOf(next)
    const client = await this.#pool.connect()
    try {
      await client.query('BEGIN')
      const { rowCount } = await client.query('UPDATE account SET password = $1 WHERE id = $2 AND password = $3', [
        hashed,
        id,
        password,
      ])
      if (rowCount === 1) await client.query('SELECT session_revoke_all($1, keep => $2)', [id, sid])
      await client.query('COMMIT')
      client.release()
      return rowCount === 1
    } catch (error) {
      client.release(error) // closes the connection, and the transaction with it
      throw error
    }
  }

  /** Ends all sessions of the account, this one as well. */
  async logOutEverywhere(id) {
    await this.#pool.query('SELECT session_revoke_all($1)', [id])
  }
}

async function hashOf(password) {
  const salt = randomBytes(16)
  return `${salt.toString('hex')}:${(await hash(password, salt, 32)).toString('hex')}`
}

async function isPassword(password, stored) {
  const [salt, expected] = stored.split(':').map((hex) => Buffer.from(hex, 'hex'))
  return timingSafeEqual(await hash(password, salt, expected.length), expected)
}
