// Passkey ceremonies. A button names where its options come from and where the browser's answer goes.
'use strict'
;(() => {
  const library = globalThis.SimpleWebAuthnBrowser
  const buttons = document.querySelectorAll('button[data-passkey]')
  // Browsers make passkeys for names only, never for a bare IP address.
  const hasName = !/^[\d.]+$|^\[/.test(globalThis.location.hostname)

  for (const hint of document.querySelectorAll('[data-passkey-nameless]')) hint.hidden = hasName
  for (const button of buttons) {
    if (!hasName || !library?.browserSupportsWebAuthn()) continue
    button.hidden = false
    button.closest('[data-passkey-block]')?.removeAttribute('hidden')
    button.addEventListener('click', () => void run(button))
  }

  async function run(button) {
    const trouble = document.getElementById('passkey-trouble')
    trouble.hidden = true
    button.disabled = true
    try {
      const options = await send(button, button.dataset.options, {})
      const answer =
        button.dataset.passkey === 'register'
          ? await library.startRegistration({ optionsJSON: options })
          : await library.startAuthentication({ optionsJSON: options })
      const name = document.getElementById('passkey-name')?.value
      const { location } = await send(button, button.dataset.submit, { answer, name })
      globalThis.location.assign(location)
    } catch (error) {
      button.disabled = false
      trouble.textContent = wordsOf(error)
      trouble.hidden = false
    }
  }

  async function send(button, url, body) {
    const response = await fetch(url, {
      method: 'POST',
      credentials: 'same-origin',
      headers: { 'content-type': 'application/json', 'x-csrf': button.dataset.csrf },
      body: JSON.stringify(body),
    })
    const reply = await response.json().catch(() => ({}))
    if (!response.ok) throw new Error(reply.detail ?? 'That did not work. Reload the page and try again.')
    return reply
  }

  function wordsOf(error) {
    if (error.name === 'NotAllowedError') return 'The passkey was not used. Try again when you are ready.'
    if (error.name === 'InvalidStateError') return 'This device has a passkey for your account already.'
    return error.message
  }
})()
