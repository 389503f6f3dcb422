/**
 * Spring Session in PostgreSQL, by the extension session_store.
 */
package io.github.sessionstore.spring;
