using KvMesh.Gateway.Native.Holders;
using KvMesh.Gateway.Native.Peers;
using KvMesh.Gateway.Native.Progressive;
using KvMesh.Gateway.SharedMemory;
using KvMesh.Gateway.Sockets;
using KvMesh.Protocol.Native;
using KvMesh.Protocol.Native.Messages;
using KvMesh.Protocol.Sockets;

namespace KvMesh.Gateway.Native;

/// <summary>
/// Serves one native connection: takes requests one after the other, answers them in order, and lets small answers to
/// pipelined requests share one send.
/// </summary>
internal sealed class NativeSession(NativeServices services, ConnectionInfo connection) : IConnectionSession
{
    /// <summary>Answers that are held back at most while more requests are at hand.</summary>
    private const int MaxPendingBytes = 64 * 1024;

    private readonly NativeExchange _exchange = new(services, connection);

    public SessionOutcome Run(IByteChannel channel)
    {
        _exchange.Channel = channel;
        while (true)
        {
            if (!_exchange.Receiver.HasFrame || _exchange.Writer.PendingBytes > MaxPendingBytes)
            {
                _exchange.Owed.Settle(_exchange.Writer, _exchange.Channel);
                _exchange.Writer.Flush(channel);
            }

            switch (_exchange.Receiver.Next(channel, out var request))
            {
                case FrameArrival.Frame:
                    _exchange.Request = request;
                    connection.Commands++;
                    if (!TryServe(request))
                    {
                        _exchange.Writer.Flush(channel);
                        return SessionOutcome.Close;
                    }

                    break;

                case FrameArrival.Idle:
                    _exchange.Receiver.Trim();
                    _exchange.Writer.Trim();
                    return SessionOutcome.Idle;

                case FrameArrival.Broken:
                    RefuseOtherVersion(request);
                    return SessionOutcome.Close;

                default:
                    return SessionOutcome.Close;
            }
        }
    }

    public void Dispose() => _exchange.Dispose();

    /// <summary>Serves one request. False: the connection ends.</summary>
    private bool TryServe(in FrameHeader request)
    {
        if (request.IsResponse)
        {
            return false;
        }

        if (!request.Verb.IsSequence())
        {
            // Answers come in order: what the control plane still works on goes before this one's.
            _exchange.Owed.Settle(_exchange.Writer, _exchange.Channel);
        }

        if (request.Verb == Verb.Hello)
        {
            return request.PayloadBytes == 0 && HelloHandler.TryHandle(_exchange);
        }

        if (!_exchange.IsAuthenticated)
        {
            _exchange.Refuse(NativeStatus.HelloRequired, $"{request.Verb}: the first request of a connection must be a hello.");
            return false;
        }

        if (request.PayloadBytes > 0 && request.Verb is not (Verb.Put or Verb.SectionPublish))
        {
            _exchange.SkipPayload();
            _exchange.Refuse(NativeStatus.BadRequest, $"{request.Verb}: the payload has {request.PayloadBytes} bytes; it must be empty.");
            return true;
        }

        Serve(request);
        return true;
    }

    private void Serve(in FrameHeader request)
    {
        if (request.Verb.IsSequence())
        {
            SequenceHandler.Handle(_exchange);
            return;
        }

        if (request.Verb is >= Verb.NodeReport and <= Verb.Desk)
        {
            PlacementHandler.Handle(_exchange);
            return;
        }

        switch (request.Verb)
        {
            case Verb.Ping:
                _exchange.Answer(NativeStatus.Ok);
                break;
            case Verb.Match:
                MatchHandler.Handle(_exchange);
                break;
            case Verb.Get:
                GetHandler.Handle(_exchange);
                break;
            case Verb.Offer:
                OfferHandler.Handle(_exchange);
                break;
            case Verb.Put:
                PutHandler.Handle(_exchange);
                break;
            case Verb.Exists:
                ExistsHandler.Handle(_exchange);
                break;
            case Verb.Remove:
                RemoveHandler.Handle(_exchange);
                break;
            case Verb.Stats:
                StatsHandler.Handle(_exchange);
                break;
            case Verb.Watch:
                WatchHandler.Handle(_exchange);
                break;
            case Verb.Report:
                ReportHandler.Handle(_exchange);
                break;
            case Verb.Locate:
                LocateHandler.Handle(_exchange);
                break;
            case Verb.Inventory:
                InventoryHandler.Handle(_exchange);
                break;
            case Verb.SectionBegin:
                SectionWriteHandler.Begin(_exchange);
                break;
            case Verb.SectionPublish:
                SectionWriteHandler.Publish(_exchange);
                break;
            case Verb.SectionAbandon:
                SectionWriteHandler.Abandon(_exchange);
                break;
            case Verb.SectionFollow:
                SectionFollowHandler.Handle(_exchange);
                break;
            case Verb.HolderAnnounce:
                HolderHandler.Announce(_exchange);
                break;
            case Verb.HolderWithdraw:
                HolderHandler.Withdraw(_exchange);
                break;
            case Verb.HolderAsks:
                HolderHandler.Asks(_exchange);
                break;
            case Verb.HolderDecline:
                HolderHandler.Decline(_exchange);
                break;
            case Verb.Attach:
                AttachHandler.Handle(_exchange);
                break;
            case Verb.Lease:
                LeaseHandler.Handle(_exchange);
                break;
            case Verb.Release:
                ReleaseHandler.Handle(_exchange);
                break;
            case Verb.Staging:
                StagingHandler.Handle(_exchange);
                break;
            case Verb.Commit:
                CommitHandler.Handle(_exchange);
                break;
            default:
                _exchange.Refuse(NativeStatus.UnknownVerb, $"verb {(byte)request.Verb} is unknown here.");
                break;
        }
    }

    /// <summary>A peer of another version gets to know it; any other broken frame leaves nothing to answer to.</summary>
    private void RefuseOtherVersion(in FrameHeader request)
    {
        if (_exchange.Receiver.Fault == FrameFault.UnsupportedVersion)
        {
            _exchange.Request = request;
            HelloHandler.RefuseVersion(_exchange);
            _exchange.Writer.Flush(_exchange.Channel);
        }
    }
}
