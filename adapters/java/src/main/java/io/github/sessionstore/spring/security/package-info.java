/**
 * For Spring Security.
 */
package io.github.sessionstore.spring.security;
