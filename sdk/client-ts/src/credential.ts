// Who signs in.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ReqSignInSchema } from "./gen/scenehost/v1/client_pb.js";

/**
 * Who signs in: a guest by a secret of the device, a session that began earlier, an account with a
 * name and a password, or a user of an OpenID Connect provider.
 */
export type Credential =
  | {
      guest: {
        /** 16 to 128 characters from a secure random source; whoever has it is the user. */
        deviceId: string;
        /** 1 to 32 characters; left out, the known name stays or the server chooses one. */
        name?: string;
      };
    }
  | {
      sessionToken: string;
      /** Renews the session when its token has expired; left out, that is a refusal. */
      refreshToken?: string;
    }
  | {
      password: {
        /** 3 to 32 letters, digits, or - _ . ; capitals make no difference. */
        name: string;
        /** 8 to 128 characters. */
        password: string;
        /** Make the account; else it must be there. */
        create?: boolean;
      };
    }
  | {
      oidc: {
        /** The provider's name in the server's configuration. */
        provider: string;
        /** The ID token that the provider gave the user. */
        idToken: string;
      };
    };

export type CredentialFrame = NonNullable<MessageInitShape<typeof ReqSignInSchema>["credential"]>;

export function toFrame(credential: Credential): CredentialFrame {
  if ("guest" in credential) return { case: "guest", value: credential.guest };
  if ("password" in credential) return { case: "password", value: credential.password };
  if ("oidc" in credential) return { case: "oidc", value: credential.oidc };
  return { case: "sessionToken", value: credential.sessionToken };
}
