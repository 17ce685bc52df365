import { Code, Text, TextField } from '@radix-ui/themes';
import { Field, type Problem } from '../forms/field.tsx';
import { useWords } from '../preferences/preferences.ts';
import { formWords } from './form-words.ts';
import styles from './link-template-field.module.css';

const PLACEHOLDER = '{customer_id}';
const EXAMPLE = '42/A';

/** The link into the CRM, with what becomes of it for one customer. */
export function LinkTemplateField({
  value,
  onChange,
  problems,
}: {
  value: string;
  onChange: (value: string) => void;
  problems: readonly Problem[];
}) {
  const words = useWords(formWords);
  return (
    <div className={styles.group}>
      <Field name="linkTemplate" label={words.linkTemplate} help={words.linkTemplateHelp} problems={problems}>
        {(described) => (
          <TextField.Root
            {...described}
            inputMode="url"
            autoComplete="off"
            spellCheck={false}
            placeholder={words.linkTemplateExample}
            value={value}
            onChange={(event) => onChange(event.target.value)}
          />
        )}
      </Field>
      {value.includes(PLACEHOLDER) && (
        <Text as="p" size="1" className={styles.example}>
          {words.linkFor(EXAMPLE)}{' '}
          <Code variant="ghost">{value.trim().replaceAll(PLACEHOLDER, encodeURIComponent(EXAMPLE))}</Code>
        </Text>
      )}
    </div>
  );
}
