using System.CommandLine;
using KvMesh.Cli.Parsing;
using KvMesh.Client;
using KvMesh.Client.Admin;

namespace KvMesh.Cli.Hosting;

/// <summary>Options that name a running node's native door, and the connection they describe.</summary>
internal sealed class NodeConnection
{
    private readonly Option<string> _endpoint = CliOption.Endpoint();
    private readonly TokenOption _token = CliOption.Token();

    public void AddTo(Command command)
    {
        command.Add(_endpoint);
        command.Add(_token);
    }

    /// <exception cref="CommandException">The node cannot be reached.</exception>
    public async Task<KvMeshClient> ConnectAsync(ParseResult parse, CancellationToken cancellationToken)
    {
        var endpoint = parse.GetRequiredValue(_endpoint);
        try
        {
            return await KvMeshClient.ConnectAsync(
                new ClientOptions { Endpoint = endpoint, Token = _token.Of(parse), Connections = 1, ClientName = "kvmesh" },
                cancellationToken);
        }
        catch (KvMeshConnectException e)
        {
            throw new CommandException(ExitCode.NodeUnreachable, $"no node answers at {endpoint}: {e.Message}", e);
        }
        catch (ArgumentException e)
        {
            throw new CommandException(ExitCode.Usage, $"--endpoint is '{endpoint}': {e.Message}", e);
        }
    }
}

/// <summary>Options that name a running node's HTTP door, and the client they describe.</summary>
internal sealed class AdminConnection
{
    private readonly Option<Uri> _node = CliOption.Node();
    private readonly TokenOption _token = CliOption.Token();

    public void AddTo(Command command)
    {
        command.Add(_node);
        command.Add(_token);
    }

    /// <summary>Adds the node alone, for commands that get their token elsewhere.</summary>
    public void AddNodeTo(Command command) => command.Add(_node);

    public Uri Node(ParseResult parse) => parse.GetRequiredValue(_node);

    public AdminClient Create(ParseResult parse) =>
        new(Node(parse), _token.Of(parse));
}
