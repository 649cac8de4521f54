using System.Text;
using KvMesh.Gateway.Sockets;
using KvMesh.Protocol.Sockets;
using Microsoft.Extensions.Logging;

namespace KvMesh.Gateway.Handover;

/// <summary>
/// Waits on a Unix socket for a successor of the same user and hands it listeners and connections. Until the successor is
/// told to commit, every failure leads back to service here; afterwards this process never touches them again. So at each moment
/// exactly one process may read from a connection, and a successor that dies loses nothing.
/// </summary>
public sealed partial class HandoverOffer : IAsyncDisposable
{
    private readonly string _path;
    private readonly IHandoverParty _party;
    private readonly StreamSocketOptions _options;
    private readonly ILogger<HandoverOffer> _logger;
    private readonly Task _serving;
    private StreamListener _listener;
    private volatile bool _stopping;

    private HandoverOffer(string path, IHandoverParty party, TimeSpan patience, ILogger<HandoverOffer> logger)
    {
        _path = path;
        _party = party;
        _options = new StreamSocketOptions { StallLimit = patience };
        _logger = logger;
        _listener = StreamListener.Bind(StreamEndpoint.Unix(path), _options);
        _serving = ServeAsync();
    }

    /// <summary>
    /// Listens on <paramref name="path"/>. A successor has <paramref name="patience"/> for each of its steps; the longest is
    /// opening the engine. Throws <see cref="AddressInUseException"/> when another node listens there.
    /// </summary>
    public static HandoverOffer Start(string path, IHandoverParty party, TimeSpan patience, ILogger<HandoverOffer> logger) =>
        new(path, party, patience, logger);

    /// <summary>Stops listening; a handover under way is brought to its end first.</summary>
    public async ValueTask DisposeAsync()
    {
        _stopping = true;
        _listener.Interrupt();
        await _serving;
        _listener.Dispose();
    }

    private async Task ServeAsync()
    {
        while (!_stopping && await OwnedThread.RunAsync("kvmesh-handover", Accept) is { } socket)
        {
            using var channel = new HandoverChannel(socket);
            try
            {
                if (await HandOverAsync(channel, socket))
                {
                    return;
                }
            }
            catch (Exception failure)
            {
                // The root of this loop: the node goes on as it is, and listens for the next successor.
                Log.Failed(_logger, failure);
            }
        }
    }

    private StreamSocket? Accept()
    {
        while (true)
        {
            switch (_listener.Accept(_options, out var socket))
            {
                case AcceptOutcome.Accepted:
                    return socket;
                case AcceptOutcome.Exhausted when !_listener.WaitForInterrupt(TimeSpan.FromMilliseconds(100)):
                    continue;
                default:
                    return null;
            }
        }
    }

    /// <summary>True when the successor serves.</summary>
    private async Task<bool> HandOverAsync(HandoverChannel channel, StreamSocket socket)
    {
        var peer = socket.ReadPeerCredentials();
        if (!peer.IsSameUser)
        {
            Refuse(channel, "Only the user that runs the node may take over from it.");
            return false;
        }

        if (!await OwnedThread.RunAsync("kvmesh-handover", () => Greet(channel)))
        {
            return false;
        }

        Log.Begins(_logger, peer.ProcessId);
        var frozen = await ReleaseAsync(channel);
        try
        {
            await OwnedThread.RunAsync("kvmesh-handover", () => Deliver(channel, frozen));
        }
        catch (Exception failure)
        {
            // Whatever it was, the clients are waiting: service comes first.
            Log.Withdrawn(_logger, peer.ProcessId, failure.Message);
            channel.Dispose();
            await _party.ResumeAsync(frozen);
            return false;
        }

        frozen.Abandon();
        Log.Done(_logger, peer.ProcessId, frozen.Listeners.Count, frozen.Connections.Count, frozen.ClosedCount);
        _party.Leave(peer.ProcessId);
        return true;
    }

    private bool Greet(HandoverChannel channel)
    {
        try
        {
            channel.Receive(HandoverVerb.Hello);
            channel.Send(HandoverVerb.Welcome);
            return true;
        }
        catch (HandoverException failure)
        {
            Log.NotWelcome(_logger, failure.Message);
            Refuse(channel, failure.Message);
            return false;
        }
    }

    private async Task<FrozenConnections> ReleaseAsync(HandoverChannel channel)
    {
        try
        {
            return await _party.ReleaseAsync();
        }
        catch (Exception failure)
        {
            Refuse(channel, $"The node could not stop for a successor: {failure.Message}");
            throw;
        }
    }

    private void Deliver(HandoverChannel channel, FrozenConnections frozen)
    {
        foreach (var batch in frozen.Listeners.Chunk(HandoverFrame.MaxDescriptors))
        {
            channel.Send(HandoverVerb.Listeners, HandoverRecords.Write(batch), [.. batch.Select(listener => listener.Listener.Descriptor)]);
            channel.Receive(HandoverVerb.Received);
        }

        foreach (var batch in frozen.Connections.Chunk(HandoverFrame.MaxDescriptors))
        {
            channel.Send(HandoverVerb.Connections, HandoverRecords.Write(batch), [.. batch.Select(connection => connection.Socket.Descriptor)]);
            channel.Receive(HandoverVerb.Received);
        }

        channel.Send(HandoverVerb.Complete, HandoverRecords.WriteCounts(frozen));
        channel.Receive(HandoverVerb.Ready);
        Commit(channel);
    }

    /// <summary>The path is given up first: the successor listens on it as soon as it has read the commit.</summary>
    private void Commit(HandoverChannel channel)
    {
        _listener.Dispose();
        try
        {
            channel.Send(HandoverVerb.Commit);
        }
        catch (HandoverException)
        {
            _listener = StreamListener.Bind(StreamEndpoint.Unix(_path), _options);
            throw;
        }
    }

    private static void Refuse(HandoverChannel channel, string reason)
    {
        try
        {
            channel.Send(HandoverVerb.Refused, Encoding.UTF8.GetBytes(reason));
        }
        catch (HandoverException)
        {
            // It left before it could be told why it is not wanted.
        }
    }
}
