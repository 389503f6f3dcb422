import cookie from '@fastify/cookie'
import session from '@fastify/session'
import Fastify from 'fastify'
import { expect, it } from 'vitest'
import { SessionStore } from '../src/fastify'
import { pool } from './support'

it('the store for fastify says that its plugin is missing', async () => {
  const app = Fastify()
  app.register(cookie)
  app.register(session, {
    store: new SessionStore({ pool }),
    secret: 'a secret that is long enough for @fastify/session',
    cookie: { secure: false },
  })
  app.get('/', async ({ session }) => {
    session.a = 1
    return {}
  })
  const answer = await app.inject('/')
  expect(answer.json()).toMatchObject({ statusCode: 500, message: expect.stringContaining('principals') })
})
