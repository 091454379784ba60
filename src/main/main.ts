/** The composition root is not built yet; the launcher needs something to start. */
console.error('gatehouse: this checkout has no command yet')
process.exitCode = 70
