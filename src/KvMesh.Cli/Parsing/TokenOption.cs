using System.CommandLine;

namespace KvMesh.Cli.Parsing;

/// <summary>The caller's token. Its default comes from the environment, which help must not print.</summary>
internal sealed class TokenOption : Option<string>
{
    public TokenOption()
        : base("--token")
    {
        Description = "Token that names your tenant and rights. Better in $KVMESH_TOKEN: others see a command line.";
        HelpName = "token";
    }

    /// <summary>The token, or null when there is none.</summary>
    public string? Of(ParseResult parse) =>
        parse.GetValue(this) is { Length: > 0 } given ? given
            : Environment.GetEnvironmentVariable(CliEnvironment.Token) is { Length: > 0 } token ? token
            : null;
}
