/** What users install: the packed package, in projects of their own, by import and by require. */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')
const project = mkdtempSync(join(tmpdir(), 'connect-session-store-pg-'))
const modules = join(project, 'node_modules')

const run = (program: string, ...args: string[]) =>
  execFileSync(program, args, { cwd: project, encoding: 'utf8', stdio: 'pipe' }).trim()

const write = (name: string, text: string) => writeFileSync(join(project, name), text)

beforeAll(() => {
  execFileSync('npm', ['pack', '--silent', '--pack-destination', project], { cwd: root })
  mkdirSync(join(modules, 'connect-session-store-pg'), { recursive: true })
  run('sh', '-c', `tar xzf *.tgz --strip-components 1 -C node_modules/connect-session-store-pg`)
  for (const name of [
    '@fastify',
    '@types',
    'express',
    'express-session',
    'fastify',
    'pg',
    'typescript',
    'undici-types',
  ]) {
    symlinkSync(join(root, 'node_modules', name), join(modules, name))
  }
  write('package.json', '{}')
})

afterAll(() => rmSync(project, { recursive: true }))

describe('the packed package', () => {
  it('holds what is needed and nothing else', () => {
    const files = run('sh', '-c', 'tar tzf *.tgz | sort').split('\n')
    expect(files).toContain('package/README.md')
    expect(files.filter((file) => !/^package\/(dist\/\w+\.(d\.ts|js)|esm\/\w+\.(d\.mts|mjs))$/.test(file))).toEqual([
      'package/LICENSE',
      'package/README.md',
      'package/package.json',
    ])
  })

  it('can be required', () => {
    write(
      'required.cjs',
      `
      const { SessionStore, principals } = require('connect-session-store-pg')
      const fastify = require('connect-session-store-pg/fastify')
      console.log(new SessionStore() instanceof require('express-session').Store, typeof principals(), typeof fastify.principals)
    `,
    )
    expect(run('node', 'required.cjs')).toBe('true function function')
  })

  it('can be imported, and is the same', () => {
    write(
      'imported.mjs',
      `
      import { createRequire } from 'node:module'
      import { SessionStore, principals } from 'connect-session-store-pg'
      import { SessionStore as ForFastify } from 'connect-session-store-pg/fastify'
      const required = createRequire(import.meta.url)('connect-session-store-pg')
      console.log(SessionStore === required.SessionStore, typeof principals(), typeof new ForFastify().get)
    `,
    )
    expect(run('node', 'imported.mjs')).toBe('true function function')
  })

  it('has types for both', () => {
    const source = `
      import session from 'express-session'
      import fastifySession from '@fastify/session'
      import { Pool } from 'pg'
      import express from 'express'
      import Fastify from 'fastify'
      import { principals, SessionStore, type Device } from 'connect-session-store-pg'
      import * as forFastify from 'connect-session-store-pg/fastify'

      const app = express()
      app.use(session({ secret: 's', store: new SessionStore({ pool: new Pool(), ttl: 60, schema: 'web' }) }), principals())
      app.post('/', async (req, res) => {
        await req.session.login(7, { browser: 'x' })
        const devices: Device[] = await req.session.devices()
        const ended: boolean = await req.session.revoke(devices[0].handle)
        const handles: string[] = await req.session.revokeOthers()
        res.json([ended, handles, await req.session.pop('flash')])
      })

      const fastify = Fastify()
      fastify.register(forFastify.principals)
      fastify.register(fastifySession, { secret: 's', store: new forFastify.SessionStore({ connectionString: '' }) })
      fastify.post('/', async ({ session }) => {
        await session.login('ada', null, { user: 'ada' })
        const devices: forFastify.Device[] = await session.devices()
        return [devices, await session.revoke('h'), await session.revokeOthers(), await session.pop('flash')]
      })

      // @ts-expect-error: whom it belongs to has to be said
      app.get('/', (req) => req.session.login())
      // @ts-expect-error: seconds are a number
      new SessionStore({ ttl: '60' })
    `
    write('typed.mts', source)
    write('typed.cts', source)
    const options = [
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      '--esModuleInterop',
      '--module',
      'node20',
      '--types',
      'node',
    ]
    expect(run('node', 'node_modules/typescript/bin/tsc', ...options, 'typed.mts', 'typed.cts')).toBe('')
  })

  it('names the packages that its types are made of', () => {
    const declarations = run('sh', '-c', 'cat node_modules/connect-session-store-pg/dist/*.d.ts')
    const used = new Set(Array.from(declarations.matchAll(/from ['"](\w[^'"]*)['"]/g), ([, name]) => `@types/${name}`))
    used.delete('@types/express') // comes with those of express-session
    const { peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    const separate = [...used].filter((name) => existsSync(join(modules, name)))
    expect(separate.sort()).toEqual(Object.keys(peerDependencies).filter((name) => name.startsWith('@types/')))
  })
})
