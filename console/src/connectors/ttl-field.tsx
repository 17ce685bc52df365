import { RadioGroup, Text, TextField } from '@radix-ui/themes';
import { useId, useState } from 'react';
import type { Problem } from '../forms/field.tsx';
import { useWords } from '../preferences/preferences.ts';
import { formWords } from './form-words.ts';
import styles from './ttl-field.module.css';

const PRESETS = [0, 1, 24, 168] as const;
const OWN = 'own';

/** How many hours an answer stays fresh: what suits most, or a number of one's own. */
export function TtlField({
  value,
  onChange,
  problems,
}: {
  value: string;
  onChange: (value: string) => void;
  problems: readonly Problem[];
}) {
  const words = useWords(formWords);
  const id = useId();
  const isPreset = PRESETS.some((hours) => String(hours) === value);
  const [wantsOwn, setWantsOwn] = useState(!isPreset);
  const own = wantsOwn || !isPreset;
  const mine = problems.filter(({ field }) => field === 'cacheTtlHours');
  return (
    <div className={styles.field}>
      <Text as="p" id={`${id}-label`} size="2" weight="medium">
        {words.ttl}
      </Text>
      <Text as="p" id={`${id}-help`} size="1" color="gray" highContrast>
        {words.ttlHelp}
      </Text>
      <RadioGroup.Root
        className={styles.presets}
        aria-labelledby={`${id}-label`}
        aria-describedby={`${id}-help`}
        value={own ? OWN : value}
        onValueChange={(chosen) => {
          setWantsOwn(chosen === OWN);
          if (chosen !== OWN) {
            onChange(chosen);
          }
        }}
      >
        {PRESETS.map((hours) => {
          const [label, purpose] = words.ttlPreset[hours];
          return (
            <RadioGroup.Item key={hours} value={String(hours)} className={styles.preset}>
              <span>
                {label}
                <Text as="span" size="1" color="gray" highContrast className={styles.purpose}>
                  {purpose}
                </Text>
              </span>
            </RadioGroup.Item>
          );
        })}
        <RadioGroup.Item value={OWN} className={styles.preset}>
          {words.ttlOwn}
        </RadioGroup.Item>
      </RadioGroup.Root>
      {own && (
        <TextField.Root
          className={styles.own}
          name="cacheTtlHours"
          inputMode="numeric"
          autoComplete="off"
          aria-label={`${words.ttl} (${words.ttlHours})`}
          aria-describedby={mine.length > 0 ? `${id}-problem` : undefined}
          aria-invalid={mine.length > 0 || undefined}
          value={value}
          onChange={(event) => onChange(event.target.value)}
        >
          <TextField.Slot side="right">{words.ttlHours}</TextField.Slot>
        </TextField.Root>
      )}
      {mine.length > 0 && (
        <Text as="div" id={`${id}-problem`} size="2" color="red">
          {mine.map(({ message }) => message).join(' ')}
        </Text>
      )}
    </div>
  );
}
