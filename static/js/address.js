// Asks "Did you mean gmail.com?" when an address looks mistyped. It changes nothing by itself.

// Where most people in the US have their address.
const USUAL = [
  "gmail.com", "yahoo.com", "hotmail.com", "outlook.com", "icloud.com", "comcast.net", "verizon.net",
  "sbcglobal.net", "bellsouth.net", "protonmail.com",
];
// Real ones that look like a mistyped one of those.
const REAL = ["mail.com", "email.com", "ymail.com", "rocketmail.com", "gmx.com", "live.com"];
const PROVIDERS = USUAL.map((domain) => domain.split(".")[0]);
// Such as "cl" and "co.uk": a provider may have addresses there, too. But "co", "cm" and "om" are
// mostly a "com" that lacks a letter.
const COUNTRY = /^(?:com?\.)?(?!c[mo]$|om$)[a-z]{2}$/;

// How many letters differ: missing, added, replaced or swapped (Damerau–Levenshtein).
function distance(one, other) {
  const rows = [[...Array(other.length + 1).keys()]];
  for (let i = 1; i <= one.length; i += 1) {
    rows[i] = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const cost = one[i - 1] === other[j - 1] ? 0 : 1;
      rows[i][j] = Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + cost);
      const isSwapped = one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      if (isSwapped) rows[i][j] = Math.min(rows[i][j], rows[i - 2][j - 2] + 1);
    }
  }
  return rows[one.length][other.length];
}

function isReal(domain) {
  const [, provider, ending] = domain.match(/^([^.]+)\.(.+)$/) ?? [];
  const isAbroad = PROVIDERS.includes(provider) && COUNTRY.test(ending);
  return isAbroad || USUAL.includes(domain) || REAL.includes(domain);
}

function meant(address) {
  const [, local, domain] = address.trim().toLowerCase().match(/^(.+)@([^@]+)$/) ?? [];
  if (!domain || domain.length > 30 || isReal(domain)) return "";
  const likely = USUAL.find((usual) => distance(domain, usual) <= (usual.length > 9 ? 2 : 1));
  return likely ? `${local}@${likely}` : "";
}

const input = document.querySelector("input[type=email]");
const suggestion = document.getElementById("suggestion");
const button = suggestion.querySelector("button");

input.after(suggestion);
input.addEventListener("change", () => {
  const address = meant(input.value);
  suggestion.hidden = !address;
  button.textContent = address;
});
button.addEventListener("click", () => {
  input.value = button.textContent;
  suggestion.hidden = true;
  input.focus();
});
