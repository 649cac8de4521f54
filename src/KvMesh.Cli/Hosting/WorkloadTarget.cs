using System.CommandLine;
using System.CommandLine.Parsing;
using KvMesh.Cli.Parsing;
using KvMesh.Engine.Retention;

namespace KvMesh.Cli.Hosting;

/// <summary>
/// Options of the commands that drive a workload, and the node that they describe: one that runs already, or one inside this
/// process.
/// </summary>
internal sealed class WorkloadTarget
{
    private const long DefaultArenaBytes = 1L << 30;
    private const long MaxBytes = 1L << 50;

    private readonly Option<string> _via = new("--via")
    {
        Description = "Front door to use: native (TCP), shm (shared memory) or resp (as LMCache does).",
        DefaultValueFactory = _ => "native",
    };

    private readonly Option<string> _endpoint = new("--endpoint")
    {
        Description = "Use a running node: tcp://host:port, unix:/path, or host:port for resp. Default: a node inside this process.",
        HelpName = "address",
    };

    private readonly TokenOption _token = CliOption.Token();
    private readonly SizeOption _blockBytes;
    private readonly Option<int> _capacity = CliOption.Number(
        "--capacity-blocks", "Blocks that the node inside this process keeps in RAM; 0: as many as fit.", 0, int.MaxValue, 0);

    private readonly Option<RetentionKind?> _retention = new("--retention")
    {
        Description = "In which order blocks leave RAM of the node inside this process. Default: as any node has it.",
        HelpName = string.Join('|', Enum.GetNames<RetentionKind>()).ToLowerInvariant(),
        CustomParser = ParseRetention,
    };

    private readonly SizeOption _arena = CliOption.Size(
        "--arena", "RAM of the node inside this process. Default: what --capacity-blocks needs, or 1 GiB.", 1 << 20, MaxBytes, 0);

    private readonly SizeOption _disk = CliOption.Size(
        "--disk", "Disk of the node inside this process. Default: none.", 0, MaxBytes, 0);

    private readonly Option<string> _dataDirectory = new("--data-dir")
    {
        Description = "Folder of the node inside this process. Default: a temporary one.",
        HelpName = "folder",
    };

    public WorkloadTarget(long defaultBlockBytes)
    {
        _blockBytes = CliOption.BlockBytes(defaultBlockBytes);
        _via.HelpName = "native|shm|resp";
        _via.Validators.Add(result =>
        {
            if (result.Tokens is [var given] && given.Value is not ("native" or "shm" or "resp"))
            {
                result.AddError($"--via is '{given.Value}'; it must be native, shm or resp.");
            }
        });
    }

    public void AddTo(Command command)
    {
        Option[] options = [_via, _endpoint, _token, _blockBytes, _capacity, _retention, _arena, _disk, _dataDirectory];
        foreach (var option in options)
        {
            command.Add(option);
        }

        command.Validators.Add(result =>
        {
            Option[] ofEmbedded = [_capacity, _retention, _arena, _disk, _dataDirectory];
            foreach (var option in ofEmbedded)
            {
                if (result.GetResult(_endpoint) is { Implicit: false } && result.GetResult(option) is { Implicit: false })
                {
                    result.AddError($"{option.Name} describes a node inside this process; it cannot go with --endpoint.");
                }
            }
        });
    }

    /// <summary>Options that describe one node, running or not.</summary>
    public IReadOnlyList<Option> OfOneNode => [_endpoint, _capacity, _retention, _arena, _disk, _dataDirectory];

    public int BlockBytesOf(ParseResult parse) => (int)_blockBytes.Of(parse);

    public Via ViaOf(ParseResult parse) => Parse(parse.GetValue(_via));

    public Via ViaOf(CommandResult result) => Parse(result.GetValue(_via));

    public string? TokenOf(ParseResult parse) => _token.Of(parse);

    /// <summary>Starts a node when none was named. Dispose what it returns; the node goes with it.</summary>
    public async Task<(EmbeddedNode? Node, DoorTarget Door)> OpenAsync(ParseResult parse, TimeSpan? maxLease, CancellationToken cancellationToken)
    {
        var via = ViaOf(parse);
        if (parse.GetValue(_endpoint) is { } endpoint)
        {
            return (null, new DoorTarget(via, endpoint, TokenOf(parse)));
        }

        var node = await EmbeddedNode.StartAsync(Describe(parse) with { MaxLease = maxLease }, cancellationToken);
        try
        {
            return (node, DoorTarget.Of(node, via));
        }
        catch
        {
            await node.DisposeAsync();
            throw;
        }
    }

    private static Via Parse(string? via) => via switch
    {
        "shm" => Via.Shm,
        "resp" => Via.Resp,
        _ => Via.Native,
    };

    private static RetentionKind? ParseRetention(ArgumentResult result)
    {
        // A number would pass as a kind that may not exist.
        var given = result.Tokens.Single().Value;
        if (Enum.TryParse<RetentionKind>(given, ignoreCase: true, out var kind) && Enum.IsDefined(kind) && !char.IsAsciiDigit(given[0]))
        {
            return kind;
        }

        result.AddError($"--retention is '{given}'; it must be one of {string.Join(", ", Enum.GetNames<RetentionKind>()).ToLowerInvariant()}.");
        return null;
    }

    private EmbeddedNodeOptions Describe(ParseResult parse)
    {
        var capacity = parse.GetValue(_capacity);
        var arena = _arena.Of(parse);
        return new EmbeddedNodeOptions
        {
            DataDirectory = parse.GetValue(_dataDirectory),
            ArenaBytes = arena > 0 ? arena
                : capacity > 0 ? EmbeddedNodeOptions.ArenaBytesFor(capacity, BlockBytesOf(parse))
                : Math.Max(DefaultArenaBytes, 8L * BlockBytesOf(parse)),
            MaxResidentBlocks = capacity,
            Retention = parse.GetValue(_retention),
            DiskBytes = _disk.Of(parse),
        };
    }
}
