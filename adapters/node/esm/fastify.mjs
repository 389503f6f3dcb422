// One copy of the code, so that what is imported and what is required know the same sessions.
export { principals, SessionStore } from '../dist/fastify.js'
