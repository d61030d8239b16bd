// Takes passwords and tokens out of texts that others wrote.

/** Drivers and HTTP clients like to repeat the address they were given, password and all. */
export const scrub = (text: string): string =>
  text.replaceAll(/(:\/\/[^\s/:@]*):[^\s/@]+@/g, "$1:***@").replaceAll(/\b(password|passwd|pwd|secret|token)=[^\s&;,]+/gi, "$1=***");
