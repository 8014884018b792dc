/** 表記の揺れをならす。 */
export function normalize(text) {
  return text.toLowerCase().replace(/　/g, ' ').trim();
}
