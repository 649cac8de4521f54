using System.Runtime.CompilerServices;
using System.Text;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Web;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KvMesh.Dashboard.Views;

/// <summary>
/// Turns pictures into HTML. Pages that show the same feed in the same way share a frame: it is rendered once, whoever asks first.
/// </summary>
internal sealed class FrameRenderer(IServiceScopeFactory scopes, ILoggerFactory loggers)
{
    // A feed that stopped takes its frames with it.
    private readonly ConditionalWeakTable<object, Frames> _frames = [];

    /// <summary>A component over a picture of a feed, as UTF-8; the caller only reads it.</summary>
    /// <param name="version">Of the picture.</param>
    /// <param name="variant">Tells apart what is shown of the same picture.</param>
    public Task<byte[]> RenderAsync<TComponent>(object feed, long version, int variant, Func<Dictionary<string, object?>> parameters)
        where TComponent : IComponent =>
        _frames.GetValue(feed, _ => new Frames()).Get(version, variant, () => RenderAsync<TComponent>(parameters()));

    private async Task<byte[]> RenderAsync<TComponent>(Dictionary<string, object?> parameters)
        where TComponent : IComponent
    {
        var scope = scopes.CreateAsyncScope();
        await using (scope.ConfigureAwait(false))
        {
            var renderer = new HtmlRenderer(scope.ServiceProvider, loggers);
            await using (renderer.ConfigureAwait(false))
            {
                return await renderer.Dispatcher.InvokeAsync(async () =>
                {
                    var root = await renderer.RenderComponentAsync<TComponent>(ParameterView.FromDictionary(parameters)).ConfigureAwait(false);
                    return Encoding.UTF8.GetBytes(root.ToHtmlString());
                }).ConfigureAwait(false);
            }
        }
    }

    /// <summary>The newest frame of each variant.</summary>
    private sealed class Frames
    {
        private readonly Lock _lock = new();
        private readonly Dictionary<int, (long Version, Task<byte[]> Html)> _newest = [];

        public Task<byte[]> Get(long version, int variant, Func<Task<byte[]>> render)
        {
            lock (_lock)
            {
                if (!_newest.TryGetValue(variant, out var frame) || frame.Version < version)
                {
                    frame = (version, Task.Run(render));
                    _newest[variant] = frame;
                }

                return frame.Html;
            }
        }
    }
}
