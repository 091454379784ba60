/** Arguments for whoever has to decide: characters that hide, or turn the text around, are written out. */
export function readableArguments(value: unknown): string {
  return JSON.stringify(value, null, 2).replaceAll(
    // Format characters, controls, separators but the plain space, variation selectors, and blank Hangul.
    /[\p{Cf}\p{Zl}\p{Zp}\u007f-\u00a0\u115f\u1160\u2000-\u200a\u202f\u205f\u3000\u3164]|\p{Variation_Selector}/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  )
}
