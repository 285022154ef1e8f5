/** Anybody's text, made fit for a line of output. Pure. */

/** Control characters and line ends become `\uXXXX`: shown, where a terminal would obey them. */
export function visible(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
