/** Frameworks wait by callbacks. One that throws must not look as if the store had failed. */
export function answer<T>(promise: Promise<T>, callback?: (error?: unknown, result?: T) => void): void {
  promise.then(
    (result) => callback && process.nextTick(callback, null, result),
    (error) => callback && process.nextTick(callback, failure(error)),
  )
}

/**
 * Both frameworks take ENOENT for a session that does not exist, as of stores that keep files. It is also what there is
 * when the server's Unix socket is not, while it restarts: nobody is logged out by that.
 */
function failure(error: unknown): unknown {
  if ((error as NodeJS.ErrnoException | undefined)?.code !== 'ENOENT') return error
  return new Error((error as Error).message, { cause: error })
}
