import { bilingual } from '../words/words.ts';

export const sessionWords = bilingual(
  {
    title: 'Sign in',
    lead: 'See who is writing before you read the second line.',
    token: 'Token',
    tokenHelp: 'Your administrator makes one with the command below, or your helpdesk hands it to you.',
    command: 'disqua token --workspace ID --role agent',
    remember: 'Stay signed in on this computer',
    signIn: 'Sign in',
    empty: 'Paste the token here first.',
    offer: {
      title: 'Sign in as somebody else?',
      lead: 'You are signed in, and this link would sign you in with another token, perhaps to another company. Only go on if you know who the link is from.',
      stay: 'Stay signed in as I am',
      accept: 'Sign in by the link',
    },
    reasons: {
      none: '',
      left: 'You are signed out.',
      refused: 'The server does not accept this token. Is it complete, and from this server?',
      revoked: 'The server no longer accepts your token. Ask for a new one.',
      expired: 'This token has expired. Ask for a new one.',
      mail: 'This token only takes in mail. Ask for one with the role agent or admin.',
      unreachable: 'The server does not answer at the moment. Try again shortly.',
    },
  },
  {
    title: 'Přihlášení',
    lead: 'Víte, kdo píše, dřív než dočtete druhý řádek.',
    token: 'Token',
    tokenHelp: 'Vytvoří ho správce příkazem níže, nebo vám ho předá váš helpdesk.',
    command: 'disqua token --workspace ID --role agent',
    remember: 'Zůstat na tomto počítači přihlášen',
    signIn: 'Přihlásit se',
    empty: 'Nejdřív sem vložte token.',
    offer: {
      title: 'Přihlásit se jako někdo jiný?',
      lead: 'Už jste přihlášeni a tento odkaz vás přihlásí jiným tokenem, třeba i k jiné firmě. Pokračujte, jen když víte, od koho odkaz je.',
      stay: 'Zůstat přihlášen jako dosud',
      accept: 'Přihlásit se odkazem',
    },
    reasons: {
      none: '',
      left: 'Jste odhlášeni.',
      refused: 'Server tento token nepřijímá. Je celý a z tohoto serveru?',
      revoked: 'Server už váš token nepřijímá. Požádejte o nový.',
      expired: 'Platnost tokenu vypršela. Požádejte o nový.',
      mail: 'Tento token slouží jen k příjmu pošty. Požádejte o token s rolí agent nebo admin.',
      unreachable: 'Server teď neodpovídá. Zkuste to za chvíli znovu.',
    },
  },
);
