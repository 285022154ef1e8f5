/** Makes untrusted text safe for one line of output. Pure. */

/** Control characters and line ends as `\uXXXX`, so that a terminal shows them and does not obey them. */
export function visible(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
