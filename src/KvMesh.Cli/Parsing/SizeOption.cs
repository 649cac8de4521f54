using System.CommandLine;

namespace KvMesh.Cli.Parsing;

/// <summary>A size in bytes. Its default is told in words in the description, since help would print a bare number.</summary>
internal sealed class SizeOption : Option<long>
{
    private readonly long _defaultBytes;

    public SizeOption(string name, string description, long defaultBytes)
        : base(name)
    {
        Description = description;
        HelpName = "size";
        _defaultBytes = defaultBytes;
    }

    /// <summary>What the command line says, or the default.</summary>
    public long Of(ParseResult parse) => IsGiven(parse) ? parse.GetValue(this) : _defaultBytes;

    public bool IsGiven(ParseResult parse) => parse.GetResult(this) is { Implicit: false };
}
