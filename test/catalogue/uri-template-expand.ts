/**
 * Expands URI templates (RFC 6570, levels 1 to 3, and `{/name*}` over a path). The oracle of the matching tests: written
 * for being obviously right, and not used by the server, which never expands.
 */
export type Values = Readonly<Record<string, string>>;

const OPERATORS: Readonly<Record<string, { first: string; between: string; named: boolean; reserved: boolean }>> = {
  '': { first: '', between: ',', named: false, reserved: false },
  '+': { first: '', between: ',', named: false, reserved: true },
  '#': { first: '#', between: ',', named: false, reserved: true },
  '.': { first: '.', between: '.', named: false, reserved: false },
  '/': { first: '/', between: '/', named: false, reserved: false },
  ';': { first: ';', between: ';', named: true, reserved: false },
  '?': { first: '?', between: '&', named: true, reserved: false },
  '&': { first: '&', between: '&', named: true, reserved: false },
};

const unreserved = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);

const encode = (text: string, reserved: boolean): string =>
  reserved ? encodeURI(text).replaceAll('%5B', '[').replaceAll('%5D', ']') : unreserved(text);

export function expandTemplate(template: string, values: Values): string {
  return template.replace(/\{([+#./;?&]?)([^}]*)\}/g, (_all, operator: string, list: string) => {
    const rule = OPERATORS[operator];
    if (rule === undefined) throw new Error(`no operator ${operator}`);
    const parts: string[] = [];
    for (const spec of list.split(',')) {
      const name = spec.replace('*', '');
      const value = values[name];
      if (value === undefined) continue;
      const encoded = spec.endsWith('*') ? value.split('/').map(unreserved).join('/') : encode(value, rule.reserved);
      if (!rule.named) parts.push(encoded);
      else parts.push(encoded === '' && operator === ';' ? name : `${name}=${encoded}`);
    }
    return parts.length === 0 ? '' : rule.first + parts.join(rule.between);
  });
}
