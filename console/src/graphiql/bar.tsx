/** What page this is, the way back, and whose token the requests bear. */
export function Bar({ signedIn }: { signedIn: boolean }) {
  return (
    <header className="bar">
      <a href="./">← Console</a>
      <h1>GraphiQL</h1>
      <p>
        {signedIn ? (
          'Your token of the console stands in the headers below.'
        ) : (
          <>
            Put a token into the headers below: <a href="./">sign in</a> in the console first, or make one with{' '}
            <code>disqua token --workspace ID --role agent</code>.
          </>
        )}
      </p>
    </header>
  );
}
