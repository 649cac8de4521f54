using System.Net;
using KvMesh.Cli.Workload;
using KvMesh.Cli.Workload.Doors;
using KvMesh.Client;

namespace KvMesh.Cli.Hosting;

/// <summary>The front door that a workload goes through.</summary>
internal enum Via
{
    Native,
    Shm,
    Resp,
}

/// <summary>One front door of one node.</summary>
/// <param name="Via">Which protocol.</param>
/// <param name="Address">tcp://host:port or unix:/path for the native protocol, host:port for RESP.</param>
/// <param name="Token">Credential; null for none.</param>
internal sealed record DoorTarget(Via Via, string Address, string? Token) : IDoorSource
{
    /// <summary>Longest time for one request.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(30);

    int IDoorSource.Endpoints => 1;

    public static DoorTarget Of(EmbeddedNode node, Via via)
    {
        var endpoints = node.Node.Endpoints;
        var address = via switch
        {
            Via.Native => endpoints.Native is { } native ? $"tcp://{native}" : null,
            Via.Shm => endpoints.UnixSocket is { } path ? $"unix:{path}" : null,
            _ => endpoints.Resp?.ToString(),
        };
        return address is not null
            ? new DoorTarget(via, address, Token: null)
            : throw new CommandException(ExitCode.Failure, $"the node does not serve {via.ToString().ToLowerInvariant()}");
    }

    /// <summary>Why an address cannot be used with a protocol; null when it can.</summary>
    public static string? Problem(Via via, string address)
    {
        if (via == Via.Resp)
        {
            return TryParseHost(address) is null ? $"'{address}' is not host:port, which --via resp needs." : null;
        }

        return address.StartsWith("unix:", StringComparison.Ordinal) ? null
            : address.StartsWith("tcp://", StringComparison.Ordinal) && TryParseHost(address) is not null ? null
            : $"'{address}' is neither tcp://host:port nor unix:/path, which --via {via.ToString().ToLowerInvariant()} needs.";
    }

    /// <exception cref="CommandException">The node cannot be reached, or cannot be used this way.</exception>
    public async ValueTask<IWorkloadDoor> OpenAsync(WorkloadKeys keys, string clientName, CancellationToken cancellationToken)
    {
        if (Problem(Via, Address) is { } problem)
        {
            throw new CommandException(ExitCode.Usage, $"--endpoint: {problem}");
        }

        try
        {
            return Via == Via.Resp
                ? await RespDoor.OpenAsync(TryParseHost(Address)!, Token, RequestTimeout, keys, cancellationToken)
                : await OpenNativeAsync(keys, clientName, cancellationToken);
        }
        catch (KvMeshConnectException e) when (e.IsRefusal)
        {
            throw new CommandException(ExitCode.Failure, e.Message, e);
        }
        catch (IOException e)
        {
            throw new CommandException(ExitCode.NodeUnreachable, $"no node answers at {Address}: {e.Message}", e);
        }
        catch (ArgumentException e)
        {
            throw new CommandException(ExitCode.Usage, $"--endpoint is '{Address}': {(e.InnerException ?? e).Message}", e);
        }
    }

    private async ValueTask<IWorkloadDoor> OpenNativeAsync(WorkloadKeys keys, string clientName, CancellationToken cancellationToken)
    {
        var options = new ClientOptions
        {
            Endpoint = Address,
            Token = Token,
            Connections = 1,
            AllowSharedMemory = Via == Via.Shm,
            RequestTimeout = RequestTimeout,
            ClientName = clientName,
        };
        var client = await KvMeshClient.ConnectAsync(options, cancellationToken);
        var batchBlocks = WorkloadClient.BatchBlocksFor(keys.BlockBytes);
        if (Via == Via.Native)
        {
            return new NativeDoor(client, keys, batchBlocks);
        }

        if (client.Transport == ClientTransport.SharedMemory)
        {
            return new SharedMemoryDoor(client, keys, batchBlocks);
        }

        await client.DisposeAsync();
        throw new CommandException(
            ExitCode.Failure,
            $"the node at {Address} does not share memory with this client; give the path of its Unix socket: --endpoint unix:/path/native.sock");
    }

    private static DnsEndPoint? TryParseHost(string address)
    {
        var text = address[(address.IndexOf("//", StringComparison.Ordinal) is >= 0 and var at ? at + 2 : 0)..].TrimEnd('/');
        var colon = text.LastIndexOf(':');
        return colon > 0 && int.TryParse(text.AsSpan(colon + 1), out var port) && port is > 0 and <= 65535
            ? new DnsEndPoint(text[..colon].Trim('[', ']'), port)
            : null;
    }
}
