import { Button, Heading, Text, TextArea, TextField } from '@radix-ui/themes';
import { type FormEvent, useEffect, useRef } from 'react';
import { useMutation } from 'urql';
import { Link, useLocation } from 'wouter';
import { graphql } from '../api/graphql.ts';
import { useLanguage } from '../api/language.ts';
import { EmailField } from '../forms/email-field.tsx';
import { Field } from '../forms/field.tsx';
import { useWords } from '../preferences/preferences.ts';
import { useTitle } from '../shell/title.ts';
import { Trouble } from '../shell/trouble.tsx';
import styles from './new-ticket.module.css';
import { useUnsent } from './unsent.ts';
import { ticketWords } from './words.ts';

const CreateTicket = graphql(`
  mutation CreateTicket($input: CreateTicketInput!, $locale: Locale!) {
    createTicket(input: $input) {
      __typename
      ... on Ticket {
        id
      }
      ... on InvalidInput {
        problems {
          field
          message(locale: $locale)
        }
      }
    }
  }
`);

/** Opens a ticket by hand, after a phone call for example. */
export function NewTicket() {
  const words = useWords(ticketWords).form;
  const locale = useLanguage();
  const [, go] = useLocation();
  const [{ fetching, error, data }, create] = useMutation(CreateTicket);
  const [input, setInput, forget] = useUnsent();
  const form = useRef<HTMLFormElement>(null);
  const problems = data?.createTicket.__typename === 'InvalidInput' ? data.createTicket.problems : [];

  useTitle(words.title);
  useEffect(() => {
    if (problems.length > 0) {
      form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
    }
  }, [problems]);

  async function submit(event: FormEvent) {
    event.preventDefault();
    const { requesterName, ...rest } = input;
    const result = await create({ input: { ...rest, requesterName: requesterName || null }, locale });
    if (result.data?.createTicket.__typename === 'Ticket') {
      forget();
      go(`/tickets/${result.data.createTicket.id}`, { replace: true });
    }
  }

  function field(name: keyof typeof input) {
    return {
      value: input[name],
      onChange: (event: { target: { value: string } }) => setInput({ ...input, [name]: event.target.value }),
    };
  }

  return (
    <form ref={form} className={styles.form} onSubmit={submit} noValidate>
      <div>
        <Heading as="h1" size="5">
          {words.title}
        </Heading>
        <Text as="p" size="2" color="gray" highContrast>
          {words.lead}
        </Text>
      </div>
      {error && <Trouble error={error} />}
      <EmailField
        name="requesterEmail"
        label={words.requesterEmail}
        problems={problems}
        value={input.requesterEmail}
        onType={(requesterEmail) => setInput({ ...input, requesterEmail })}
        autoFocus
      />
      <Field name="requesterName" label={words.requesterName} problems={problems}>
        {(described) => <TextField.Root {...described} {...field('requesterName')} autoComplete="off" />}
      </Field>
      <Field name="subject" label={words.subject} problems={problems}>
        {(described) => <TextField.Root {...described} {...field('subject')} />}
      </Field>
      <Field name="text" label={words.text} problems={problems}>
        {(described) => <TextArea {...described} {...field('text')} rows={6} />}
      </Field>
      <div className={styles.buttons}>
        <Button type="submit" loading={fetching}>
          {words.create}
        </Button>
        <Button asChild variant="soft" color="gray" highContrast>
          <Link href="/" onClick={forget}>
            {words.cancel}
          </Link>
        </Button>
      </div>
    </form>
  );
}
