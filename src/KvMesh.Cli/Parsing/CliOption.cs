using System.CommandLine;
using System.CommandLine.Parsing;
using KvMesh.Protocol;

namespace KvMesh.Cli.Parsing;

/// <summary>Options that several commands share, each made anew for its command.</summary>
internal static class CliOption
{
    public const string JsonName = "--json";

    private const int DefaultPort = 8600;

    public static Option<bool> Json() => new(JsonName)
    {
        Description = "Print one JSON object on standard output, and nothing else there; a failure is one with the field error.",
    };

    public static TokenOption Token() => new();

    public static Option<Uri> Node()
    {
        var option = new Option<Uri>("--node")
        {
            Description = "HTTP address of the node; also $KVMESH_NODE.",
            HelpName = "url",
            DefaultValueFactory = _ => new Uri(Environment.GetEnvironmentVariable(CliEnvironment.Node) ?? "http://127.0.0.1:8600"),
            CustomParser = result => Parse<Uri>(result, "an address such as http://127.0.0.1:8600", TryParseNode),
        };
        return option;
    }

    public static Option<string> Endpoint() => new("--endpoint")
    {
        Description = "Native door of the node: tcp://host:port or unix:/path; also $KVMESH_ENDPOINT.",
        HelpName = "address",
        DefaultValueFactory = _ => Environment.GetEnvironmentVariable(CliEnvironment.Endpoint) ?? "tcp://127.0.0.1:8601",
    };

    public static SizeOption Size(string name, string description, long min, long max, long defaultValue) =>
        new(name, description, defaultValue)
        {
            CustomParser = result => Parse<long>(
                result,
                $"{ByteSize.Accepted}, from {min} to {max} bytes",
                (string text, out long bytes) => ByteSize.TryParse(text, out bytes) && bytes >= min && bytes <= max),
        };

    public static SizeOption BlockBytes(long defaultValue) =>
        Size("--block-bytes", $"Payload bytes of one block. Default: {Output.Formats.Bytes(defaultValue)}.", 64, Limits.MaxBlockBytes, defaultValue);

    public static Option<int> Number(string name, string description, int min, int max, int defaultValue) => new(name)
    {
        Description = description,
        HelpName = "n",
        DefaultValueFactory = _ => defaultValue,
        CustomParser = result => Parse<int>(
            result,
            $"a whole number from {min} to {max}",
            (string text, out int number) => int.TryParse(text, out number) && number >= min && number <= max),
    };

    public static Option<double> Real(string name, string description, double min, double max, double defaultValue) => new(name)
    {
        Description = description,
        HelpName = "x",
        DefaultValueFactory = _ => defaultValue,
        CustomParser = result => Parse<double>(
            result,
            $"a number from {min} to {max}",
            (string text, out double number) => double.TryParse(text, out number) && number >= min && number <= max),
    };

    public static Option<ListenAddress?> Listen(string name, string description, bool canBeOff = true) => new(name)
    {
        Description = description,
        HelpName = "address",
        CustomParser = result => Parse<ListenAddress?>(
            result,
            canBeOff ? $"{ListenAddress.Accepted}; off closes the door" : ListenAddress.Accepted,
            (string text, out ListenAddress? address) => ListenAddress.TryParse(text, out address) && (canBeOff || !address!.IsOff)),
    };

    /// <summary>Whole URLs of HTTP, as many as are given.</summary>
    public static Uri[]? ParseAddresses(ArgumentResult result)
    {
        var addresses = new Uri[result.Tokens.Count];
        for (var index = 0; index < addresses.Length; index++)
        {
            var text = result.Tokens[index].Value;
            if (!Uri.TryCreate(text, UriKind.Absolute, out addresses[index]!) || addresses[index].Scheme is not ("http" or "https"))
            {
                result.AddError($"{(result.Parent as OptionResult)?.Option.Name} is '{text}'; it must be an address that begins with http:// or https://.");
                return null;
            }
        }

        return addresses;
    }

    private delegate bool TryParser<T>(string text, out T value);

    private static T? Parse<T>(ArgumentResult result, string accepted, TryParser<T> parser)
    {
        var text = result.Tokens[0].Value;
        if (parser(text, out var value))
        {
            return value;
        }

        var name = result.Parent is OptionResult option ? option.Option.Name : result.Argument.Name;
        result.AddError($"{name} is '{text}'; it must be {accepted}.");
        return default;
    }

    private static bool TryParseNode(string text, out Uri node)
    {
        // A name alone is a node at the port that nodes have; a whole URL is taken as it is written.
        var isWhole = text.Contains("://", StringComparison.Ordinal);
        var found = Uri.TryCreate(isWhole ? text : "http://" + text, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https";
        var hasPort = isWhole || text.LastIndexOf(':') > text.LastIndexOf(']');
        node = found && !hasPort ? new UriBuilder(uri!) { Port = DefaultPort }.Uri : uri!;
        return found;
    }
}
