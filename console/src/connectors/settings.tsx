/** Settings → YourCRM: loaded when an admin opens it. */
export default function Settings() {
  return null;
}
