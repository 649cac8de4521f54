using System.CommandLine;
using KvMesh.Cli.Parsing;
using KvMesh.Client;
using KvMesh.Client.Admin;
using KvMesh.Gateway.Access;

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

    /// <param name="needed">What the command is going to do: without that right it is told so, and not that the node failed.</param>
    /// <exception cref="CommandException">The node cannot be reached, refuses the token, or allows it less than is needed.</exception>
    public async Task<KvMeshClient> ConnectAsync(ParseResult parse, AccessRights needed, CancellationToken cancellationToken)
    {
        var client = await ConnectAsync(parse.GetRequiredValue(_endpoint), _token.Of(parse), cancellationToken);
        var rights = (AccessRights)client.Hello.Rights;
        if ((rights & needed) == needed)
        {
            return client;
        }

        await using (client)
        {
            throw new CommandException(
                ExitCode.Failure,
                $"the token lacks the right {Name(needed & ~rights)}: at this node tenant '{client.Tenant}' has {Name(rights)} with it. Give another with --token or ${CliEnvironment.Token}.");
        }
    }

    private static string Name(AccessRights rights) => rights.ToString().ToLowerInvariant();

    private static async Task<KvMeshClient> ConnectAsync(string endpoint, string? token, CancellationToken cancellationToken)
    {
        try
        {
            return await KvMeshClient.ConnectAsync(
                new ClientOptions { Endpoint = endpoint, Token = token, Connections = 1, ClientName = "kvmesh" }, cancellationToken);
        }
        catch (KvMeshConnectException e) when (e.IsRefusal)
        {
            throw new CommandException(ExitCode.Failure, e.Message, e);
        }
        catch (KvMeshConnectException e)
        {
            throw new CommandException(ExitCode.NodeUnreachable, $"no node answers at {endpoint}: {e.Message}", e);
        }
        catch (ArgumentException e)
        {
            throw new CommandException(ExitCode.Usage, $"--endpoint is '{endpoint}': {(e.InnerException ?? e).Message}", e);
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
