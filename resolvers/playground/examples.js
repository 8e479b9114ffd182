// The example operations, one a tab. A function, because they share an email.
'use strict';

var playgroundExamples = function (email) {
  const password = 'analytical-engine';

  const session = `message
    token
    refreshToken
    connectySession
    ccUserId
    chatStatus
    user {
      id
      email
    }`;

  const credentials = { body: { email, password } };

  return [
    {
      // GraphiQL shows no variables in its first tab, so that tab must not need any.
      query: `# Ctrl-Enter runs this, Ctrl-Space completes.
query hello {
  hello
}
`,
    },
    {
      query: `# Makes an account, here and at ConnectyCube.
# The other tabs get the token in their headers.
mutation register($body: UserRegisterInput!) {
  register(body: $body) {
    message
    token
    refreshToken
    user {
      id
      email
      firstName
      lastName
    }
  }
}
`,
      variables: { body: { email, firstName: 'Ada', lastName: 'Lovelace', password } },
    },
    {
      query: `# The session comes by email and password.
mutation login($body: LoginUserDto!) {
  login(body: $body) {
    ${session}
  }
}
`,
      variables: credentials,
    },
    {
      query: `# The session comes by a token of ours:
# ConnectyCube asks us whether it is genuine.
mutation login_By_token($body: LoginUserDto!) {
  login_By_token(body: $body) {
    ${session}
  }
}
`,
      variables: credentials,
    },
    {
      query: `# Needs the token of a login, which the login
# has written into the headers below.
query me {
  me {
    id
    email
    firstName
    lastName
    roles
    accountStatus
    ccUserId
    createdAt
  }
}
`,
    },
    {
      query: `# The devices on which the user is logged in.
query sessions {
  sessions {
    id
    device
    current
    usedAt
    expiresIn
  }
}
`,
    },
    {
      query: `# Replaces the tokens. A login has written its
# refresh token into the variables below.
mutation refresh($refreshToken: String!) {
  refresh(refreshToken: $refreshToken) {
    ${session}
  }
}
`,
      variables: { refreshToken: 'log in first' },
    },
    {
      query: `# Ends all other login sessions of the user.
# The login tabs get the new password.
mutation changePassword($current: String!, $new: String!) {
  changePassword(current: $current, new: $new) {
    message
  }
}
`,
      variables: { current: password, new: 'difference-engine' },
    },
    {
      query: `# For administrators. Make one in a terminal
# in the folder of the server:
#   go run . grant EMAIL admin
query users($text: String) {
  users(filter: { text: $text }, page: { limit: 20 }) {
    items {
      id
      email
      roles
      disabled
      accountStatus
    }
  }
}
`,
      variables: { text: '' },
    },
  ];
};
