/**
 * Auto-configuration for Spring Boot.
 */
package io.github.sessionstore.spring.boot;
